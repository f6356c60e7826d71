// Judges a log that a node has written, with the programs of others: golang.org/x/mod/sumdb/note
// for the checkpoint, golang.org/x/mod/sumdb/tlog for tiles, inclusion and consistency.
//
//	judge LOGDIR VKEY
//
// LOGDIR is a log in the layout of C2SP tlog-tiles; VKEY is the log's key. Prints each claim that
// does not hold, and `N passed, M failed` last. Everything is also spoilt once in memory, and has
// to be refused then: a judge that refuses nothing is none.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

var passed, failed int

func claim(holds bool, format string, args ...interface{}) {
	if holds {
		passed++
		return
	}
	failed++
	fmt.Printf("does not hold: "+format+"\n", args...)
}

func must(err error) {
	if err != nil {
		fmt.Println(err)
		fmt.Printf("%d passed, %d failed\n", passed, failed+1)
		os.Exit(1)
	}
}

// reader reads tiles from the log's folder; spoil changes what was read.
type reader struct {
	dir   string
	spoil func([]byte)
}

func (r reader) Height() int { return height }

func (r reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		// tile/8/L/N[.p/W] here is tile/L/N[.p/W] there.
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := read(r.dir, path, tile.W*tlog.HashSize)
		if err != nil {
			return nil, err
		}
		if r.spoil != nil {
			r.spoil(data)
		}
		all = append(all, data)
	}
	return all, nil
}

func (r reader) SaveTiles([]tlog.Tile, [][]byte) {}

// read reads a tile or bundle; where a partial one is gone the full one serves, cut to its length.
func read(dir, path string, length int) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path)))
	if at := strings.Index(path, ".p/"); os.IsNotExist(err) && at > 0 {
		data, err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(path[:at])))
		if len(data) > length {
			data = data[:length]
		}
	}
	return data, err
}

// leaves reads the leaf data from the entry bundles: each entry after its length.
func leaves(dir string, size int64) ([][]byte, error) {
	var all [][]byte
	for n := int64(0); n*256 < size; n++ {
		width := size - n*256
		if width > 256 {
			width = 256
		}
		path := tlog.Tile{H: height, L: 0, N: n, W: int(width)}.Path()
		path = strings.Replace(path, "tile/8/0/", "tile/entries/", 1)
		data, err := read(dir, path, int(width)*35)
		if err != nil {
			return nil, err
		}
		for len(data) > 0 {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return nil, fmt.Errorf("%s: an entry is cut short", path)
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			all = append(all, data[2:end])
			data = data[end:]
		}
	}
	if int64(len(all)) != size {
		return nil, fmt.Errorf("the bundles hold %d entries, the checkpoint says %d", len(all), size)
	}
	return all, nil
}

func main() {
	if len(os.Args) != 3 {
		fmt.Println("judge LOGDIR VKEY")
		os.Exit(2)
	}
	dir, vkey := os.Args[1], os.Args[2]
	text, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	must(err)
	size, root := checkpoint(text, vkey)
	tiles := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, reader{dir: dir})
	entries, err := leaves(dir, size)
	must(err)

	rebuilt, err := tree(entries)
	must(err)
	claim(rebuilt == root, "the entries make the signed root")
	entries[0] = append([]byte{^entries[0][0]}, entries[0][1:]...)
	other, err := tree(entries)
	must(err)
	claim(other != root, "other entries do not")

	included(tiles, dir, size, root)
	consistent(tiles, size, root)

	spoilt := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, reader{dir, func(tile []byte) {
		tile[len(tile)/2] ^= 1
	}})
	_, err = spoilt.ReadHashes([]int64{tlog.StoredHashIndex(0, 0)})
	claim(err != nil, "a tile with a changed bit is refused")

	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
}

// checkpoint verifies the log's signature; cosignatures are of another type and passed over.
func checkpoint(text []byte, vkey string) (int64, tlog.Hash) {
	verifier, err := note.NewVerifier(vkey)
	must(err)
	opened, err := note.Open(text, note.VerifierList(verifier))
	must(err)
	claim(len(opened.Sigs) == 1, "the log has signed once")
	lines := strings.Split(opened.Text, "\n")
	claim(len(lines) == 4 && lines[0] == verifier.Name() && lines[3] == "", "three lines: %q", lines)
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	hash, err := base64.StdEncoding.DecodeString(lines[2])
	must(err)
	var root tlog.Hash
	claim(copy(root[:], hash) == tlog.HashSize && len(hash) == tlog.HashSize, "a root of 32 bytes")

	longer := bytes.Replace(text, []byte("\n"+lines[1]+"\n"), []byte("\n1"+lines[1]+"\n"), 1)
	_, err = note.Open(longer, note.VerifierList(verifier))
	claim(err != nil, "a checkpoint of another size is refused")
	return size, root
}

// tree computes the root from leaf data alone.
func tree(entries [][]byte) (tlog.Hash, error) {
	var hashes []tlog.Hash
	stored := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, index := range indexes {
			found = append(found, hashes[index])
		}
		return found, nil
	})
	for n, entry := range entries {
		more, err := tlog.StoredHashes(int64(n), entry, stored)
		if err != nil {
			return tlog.Hash{}, err
		}
		hashes = append(hashes, more...)
	}
	return tlog.TreeHash(int64(len(entries)), stored)
}

// included proves every entry of the bundles from the tiles.
func included(tiles tlog.HashReader, dir string, size int64, root tlog.Hash) {
	entries, err := leaves(dir, size)
	must(err)
	for n, entry := range entries {
		proof, err := tlog.ProveRecord(size, int64(n), tiles)
		must(err)
		hash := tlog.RecordHash(entry)
		claim(tlog.CheckRecord(proof, size, root, int64(n), hash) == nil, "entry %d is included", n)
		hash[0] ^= 1
		claim(tlog.CheckRecord(proof, size, root, int64(n), hash) != nil, "another at %d is not", n)
	}
}

// consistent proves that every smaller tree is the beginning of this one.
func consistent(tiles tlog.HashReader, size int64, root tlog.Hash) {
	for old := int64(1); old <= size; old++ {
		then, err := tlog.TreeHash(old, tiles)
		must(err)
		proof, err := tlog.ProveTree(size, old, tiles)
		must(err)
		claim(tlog.CheckTree(proof, size, root, old, then) == nil, "size %d is a beginning", old)
		then[0] ^= 1
		claim(tlog.CheckTree(proof, size, root, old, then) != nil, "another of size %d is not", old)
	}
}
