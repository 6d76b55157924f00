package engine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/ckpt"
)

// What Inspect finds in the files of a stopped engine is what was pushed: every sample in an image or in a closed chunk
// that it names, every byte of the chunk files accounted for. A changed byte in a chunk is found in the file and by
// whoever needs the chunk.
func TestInspectImagesAndChunks(t *testing.T) {
	c := testConfig(t)
	e := start(t, c)
	const series, samples = 50, 400
	for n := range samples {
		var b Batch
		for i := range series {
			add(&b, pod(i), sample(testNow.UnixMilli()+int64(n)*30_000, float64(n*i)))
		}
		push(t, e, "a", &b)
	}
	require.NoError(t, e.Close())

	dir := filepath.Join(c.Dir, "a")
	copies, err := ckpt.ReadCatalogue(disk.OS, ckpt.CataloguePath(dir))
	require.NoError(t, err)
	cat := copies[0].Catalogue
	if s := copies[1].Catalogue.Seq; s > cat.Seq {
		cat = copies[1].Catalogue
	}
	inspect := func() (sum ImageContents) {
		for i, entries := range cat.Images {
			one, err := InspectImage(disk.OS, dir, cat.Identity, i, entries[0])
			require.NoError(t, err)
			sum.Series += one.Series
			sum.Samples += one.Samples
			sum.Closed += one.Closed
			sum.Faults += one.Faults
		}
		return sum
	}
	sum := inspect()
	require.Equal(t, ImageContents{Series: series, Samples: series * samples, Closed: sum.Closed}, sum)
	require.NotZero(t, sum.Closed)

	files, err := filepath.Glob(filepath.Join(dir, chunksDir, "*"))
	require.NoError(t, err)
	chunks, closed, faults := 0, 0, 0
	read := func(name string) {
		at := int64(fileHeadSize)
		chunks, closed, faults = 0, 0, 0
		info, err := InspectChunks(disk.OS, name, func(c *ClosedChunk) error {
			require.Equal(t, at, c.Off)
			at = c.End
			chunks++
			closed += c.Samples()
			if c.Fault != "" {
				faults++
			}
			return nil
		})
		require.NoError(t, err)
		require.Empty(t, info.Fault)
		require.Equal(t, at, info.End)
	}
	all := 0
	for _, name := range files {
		read(name)
		require.Zero(t, faults)
		all += chunks
	}
	require.Equal(t, sum.Closed, all)

	read(files[0])
	before := chunks
	b, err := os.ReadFile(files[0])
	require.NoError(t, err)
	b[fileHeadSize+chunkHeadSize+3] ^= 1
	require.NoError(t, os.WriteFile(files[0], b, 0o644))
	read(files[0])
	require.Equal(t, []int{before, 1}, []int{chunks, faults})
	require.Equal(t, 1, inspect().Faults)
}
