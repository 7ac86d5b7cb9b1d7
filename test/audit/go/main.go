// Verifies a log of demos-relay with Go's own transparency log code, which shares nothing with ours.
//
//	main <url> <network> <older checkpoints: files in a directory> [<records: a file, one a line>]
//
// It checks the signature of the checkpoint, every hash of every tile against its root, that each record is under the
// root at its place, that the tree continues every older checkpoint, and proofs the server gives for records. Without a
// file it reads the records from the entry bundles, which ADMIN_TOKEN opens.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	server, network := os.Args[1], os.Args[2]
	log := server + "/audit/" + url.PathEscape(network)
	verifier, err := note.NewVerifier(strings.TrimSpace(get(server + "/audit/vkey")))
	check(err, "key")
	own, err := note.NewVerifier(strings.TrimSpace(get(log + "/vkey")))
	check(err, "the log's own key")
	checkpoint := get(log + "/checkpoint")
	tree := open(checkpoint, verifier)
	open(checkpoint, own)
	hashes := tlog.TileHashReader(tree, tiles{log})
	olders, err := filepath.Glob(filepath.Join(os.Args[3], "*"))
	check(err, "older checkpoints")
	for _, older := range olders {
		old := open(read(older), verifier)
		continued, err := tlog.ProveTree(tree.N, old.N, hashes)
		check(err, "consistency proof")
		check(tlog.CheckTree(continued, tree.N, tree.Hash, old.N, old.Hash), "consistency")
	}

	var records []string
	if len(os.Args) > 4 {
		records = strings.Split(strings.TrimSuffix(read(os.Args[4]), "\n"), "\n")
	} else {
		records = bundles(log, tree.N)
	}
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
	fmt.Printf("go: %d records and every tile under the root signed by %s, which continues %d older ones\n", tree.N, own.Name(), len(olders))
}

// bundles reads the records of a log: each bundle has up to 256, each behind its length in two bytes, big-endian.
func bundles(log string, size int64) (records []string) {
	for index := int64(0); index*256 < size; index++ {
		tile := tlog.Tile{H: 8, L: -1, N: index, W: 256}
		if size-index*256 < 256 {
			tile.W = int(size - index*256)
		}
		bundle := get(log + "/" + strings.Replace(tile.Path(), "tile/8/data/", "tile/entries/", 1))
		for at := 0; at < len(bundle); {
			end := at + 2 + int(binary.BigEndian.Uint16([]byte(bundle[at:at+2])))
			records = append(records, bundle[at+2:end])
			at = end
		}
	}
	return records
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
	request, err := http.NewRequest("GET", url, nil)
	check(err, url)
	if token := os.Getenv("ADMIN_TOKEN"); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
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
