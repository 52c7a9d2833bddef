package jobspec

// This file names Jobs: the name is the lock that keeps two starts of one run from making two Jobs.

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// MaxName is the longest name of a Job: its pods add six characters, and a
// CronJob would add eleven to one of ours.
const MaxName = 52

// markLength is the length of the mark that tells streams apart: 60 bits.
const markLength = 12

// Name is the name of a stream's Job: the stream's name, shortened; a mark of its
// kind, whole name and UID; and the run. Two streams, two kinds and a stream that
// is created anew under its old name never share one, whatever their names are
// shortened to. It is a DNS label, as a pod's host name has to be.
func Name(streamName string, streamUID types.UID, kind string, run int64) string {
	number := strconv.FormatInt(run, 10)
	return named(streamName, streamUID, kind, MaxName-len(number)-1) + "-" + number
}

// named is the part of a name that says whose it is, no longer than the room for it.
func named(streamName string, streamUID types.UID, kind string, room int) string {
	mark := mark(kind, streamName, string(streamUID))
	room -= len(mark) + 1
	head := strings.ReplaceAll(strings.ToLower(streamName), ".", "-")
	if len(head) > room {
		head = head[:room]
	}
	head = strings.Trim(head, "-")
	if head == "" {
		head = "s"
	}
	return head + "-" + mark
}

// mark is a hash in lower-case letters and digits. The parts are told apart by a
// byte that none of them can hold.
func mark(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:markLength]
}
