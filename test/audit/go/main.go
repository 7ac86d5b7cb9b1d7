// Verifies a log of demos-relay with Go's own transparency log code, which shares nothing with ours.
//
//	main <url> <network> <records: a file, one a line> <older checkpoint: a file>
//
// It checks the signature of the checkpoint, every hash of every tile against its root, that each record is under the
// root at its place, that the tree continues the older checkpoint, and the proof the server gives for each record.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	url, network := os.Args[1], os.Args[2]
	log := url + "/audit/" + network
	verifier, err := note.NewVerifier(strings.TrimSpace(get(url + "/audit/vkey")))
	check(err, "key")
	own, err := note.NewVerifier(strings.TrimSpace(get(log + "/vkey")))
	check(err, "the log's own key")
	checkpoint := get(log + "/checkpoint")
	tree := open(checkpoint, verifier)
	open(checkpoint, own)
	old := open(read(os.Args[4]), verifier)

	hashes := tlog.TileHashReader(tree, tiles{log})
	continued, err := tlog.ProveTree(tree.N, old.N, hashes)
	check(err, "consistency proof")
	check(tlog.CheckTree(continued, tree.N, tree.Hash, old.N, old.Hash), "consistency")

	records := strings.Split(strings.TrimSuffix(read(os.Args[3]), "\n"), "\n")
	if int64(len(records)) != tree.N {
		fail("there are %d records, the tree has %d", len(records), tree.N)
	}
	var all []int64
	for index := range records {
		all = append(all, tlog.StoredHashIndex(0, int64(index)))
	}
	leaves, err := hashes.ReadHashes(all) // authenticates every tile it reads against the root
	check(err, "tiles")
	for index, record := range records {
		if leaves[index] != tlog.RecordHash([]byte(record)) {
			fail("record %d is not what its tile says", index)
		}
		if index%97 == 0 || index == len(records)-1 {
			checkProof(log, verifier, int64(index), record)
		}
	}
	fmt.Printf("go: %d records and every tile under the root signed by %s, which continues its tree of %d\n", tree.N, own.Name(), old.N)
}

// checkProof takes a tlog-proof apart and follows it from the record to the root of the checkpoint in it.
func checkProof(log string, verifier note.Verifier, index int64, record string) {
	text := get(fmt.Sprintf("%s/proof/%x", log, sha256.Sum256([]byte(record))))
	head, checkpoint, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" || lines[1] != fmt.Sprintf("index %d", index) {
		fail("the proof of record %d begins with %q", index, lines[:2])
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		proof = append(proof, hash(line))
	}
	tree := open(checkpoint, verifier)
	check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash([]byte(record))), "inclusion")
}

func open(signed string, verifier note.Verifier) tlog.Tree {
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	check(err, "checkpoint")
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err, "tree size")
	return tlog.Tree{N: size, Hash: hash(lines[2])}
}

// tiles reads hash tiles where c2sp.org/tlog-tiles has them; tlog names them with their height of 8 in front.
type tiles struct{ log string }

func (t tiles) Height() int                         { return 8 }
func (t tiles) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (t tiles) ReadTiles(wanted []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range wanted {
		data = append(data, []byte(get(t.log+"/"+strings.Replace(tile.Path(), "tile/8/", "tile/", 1))))
	}
	return data, nil
}

func hash(text string) (hash tlog.Hash) {
	decoded, err := base64.StdEncoding.DecodeString(text)
	check(err, "hash")
	copy(hash[:], decoded)
	return hash
}

func get(url string) string {
	response, err := http.Get(url)
	check(err, url)
	defer response.Body.Close()
	body := new(bytes.Buffer)
	_, err = io.Copy(body, response.Body)
	check(err, url)
	if response.StatusCode != 200 {
		fail("%s answers %s", url, response.Status)
	}
	return body.String()
}

func read(path string) string {
	text, err := os.ReadFile(path)
	check(err, path)
	return string(text)
}

func check(err error, what string) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

func fail(format string, args ...interface{}) {
	fmt.Fprintf(os.Stderr, "go: FAILED, "+format+"\n", args...)
	os.Exit(1)
}
