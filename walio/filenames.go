package walio

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Names in the log's directory:
//
//	00000012              a segment; numbers have no holes
//	checkpoint.00000011/  names of all live series; covers the segments up to 11
//	*.tmp                 left over from a crash, removed by Recover

const (
	checkpointPrefix = "checkpoint."
	tmpSuffix        = ".tmp"
)

func segmentName(num int) string { return fmt.Sprintf("%08d", num) }

func segmentPath(dir string, num int) string { return filepath.Join(dir, segmentName(num)) }

func checkpointPath(dir string, num int) string {
	return filepath.Join(dir, fmt.Sprintf("%s%08d", checkpointPrefix, num))
}

// parseSegmentName accepts any number of digits, as stock readers do.
func parseSegmentName(name string) (int, bool) {
	num, err := strconv.Atoi(name)
	return num, err == nil && num >= 0
}

func parseCheckpointName(name string) (int, bool) {
	rest, ok := strings.CutPrefix(name, checkpointPrefix)
	if !ok {
		return 0, false
	}
	return parseSegmentName(rest)
}
