"""Two peers in an L2PS network, without a client library: docs/protocol.md, 4.

    apt install python3-websockets python3-cryptography
    python3 python.py ws://127.0.0.1:3006
"""
import asyncio, base64, hashlib, json, os, sys, time, uuid, websockets
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

URL = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:3006"
subnet_key = AESGCM(os.urandom(32))  # the members share it; the relay does not have it


class Peer:
    async def join(self, uid):
        key = Ed25519PrivateKey.generate()
        self.key = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
        self.socket = await websockets.connect(URL)
        now = int(time.time() * 1000)
        proof = key.sign(f"register:{self.key}:{now}".encode()).hex()  # 4.2
        payload = {"publicKey": self.key, "l2psUid": uid, "proof": proof, "features": ["ack"]}
        await self.ask("register", payload, now)
        return self

    async def send(self, kind, payload, timestamp=None, **more):
        timestamp = timestamp or int(time.time() * 1000)
        await self.socket.send(json.dumps({"type": kind, "payload": payload, "timestamp": timestamp, **more}))

    async def ask(self, kind, payload, timestamp=None):
        request = str(uuid.uuid4())
        await self.send(kind, payload, timestamp, requestId=request)  # 4.1: its answer has the same requestId
        while (frame := json.loads(await self.socket.recv())).get("requestId") != request:
            pass  # a real client handles these frames, too: messages, peers that come and leave
        if frame["type"] == "error":
            raise RuntimeError(frame["payload"])
        return frame

    async def receive(self):
        while (frame := json.loads(await self.socket.recv()))["type"] != "message":
            pass
        body = {name: base64.b64decode(frame["payload"]["encrypted"][name]) for name in ("nonce", "ciphertext")}
        text = subnet_key.decrypt(body["nonce"], body["ciphertext"], None).decode()
        await self.send("ack", {"seq": frame["payload"]["seq"]})  # 1.6: now the relay may forget it
        return frame["payload"]["from"], text


async def main():
    alice, bob = await Peer().join("demo"), await Peer().join("demo")
    body = {"nonce": (nonce := os.urandom(12)), "ciphertext": subnet_key.encrypt(nonce, b"hello, bob", None)}
    encrypted = {name: base64.b64encode(value).decode() for name, value in body.items()}
    named = hashlib.sha256(json.dumps(encrypted).encode()).hexdigest()  # 4.3: the same message has the same name
    answer = await alice.ask("send", {"to": bob.key, "encrypted": encrypted, "messageHash": named})
    print("the relay has it:", answer["type"])
    print("received from {}: {}".format(*await bob.receive()))
    await asyncio.gather(alice.socket.close(), bob.socket.close())

asyncio.run(main())
