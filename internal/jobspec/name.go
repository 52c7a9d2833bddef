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
	mark := Mark(streamName, streamUID, kind)
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

// MaxRun is the highest number that a run may have: the largest integer that every
// reader of JSON takes for itself, whoever patches a status (RFC 8259, section 6).
const MaxRun = 1<<53 - 1

// IsOf tells whether a name is derived from this very stream: it holds the stream's
// mark, as the names of its Jobs, its CronJob, the CronJob's runs and the pods of all
// of these do. A name is immutable, so this stays true whatever happens to labels and
// owners. Who chose the name it does not tell.
func IsOf(name, streamName string, streamUID types.UID, kind string) bool {
	_, after, found := strings.Cut(name, "-"+Mark(streamName, streamUID, kind))
	return found && (after == "" || after[0] == '-')
}

// IsJobOf tells whether a name is one that Name, or a run of the CronJob, has for this very stream.
func IsJobOf(name, streamName string, streamUID types.UID, kind string) bool {
	_, after, found := strings.Cut(name, "-"+Mark(streamName, streamUID, kind)+"-")
	return found && RunOf(name) > 0 && !strings.Contains(after, "-")
}

// Marks are the parts of a name that may be a stream's mark. A cache finds by them what
// is named after a stream, whatever its labels say.
func Marks(name string) []string {
	var marks []string
	for i, part := range strings.Split(name, "-") {
		if i > 0 && len(part) == markLength {
			marks = append(marks, part)
		}
	}
	return marks
}

// RunOf is the number at the end of a Job's name; 0 where there is none, or none that a
// run can have.
func RunOf(job string) int64 {
	number := job[strings.LastIndex(job, "-")+1:]
	run, err := strconv.ParseInt(number, 10, 64)
	if err != nil || run > MaxRun || number[0] == '+' {
		return 0
	}
	return run
}

// JobOf is the name of the Job that a pod was named after, or its beginning: the Job
// controller adds a hyphen and five characters to as much of it as there is room for.
func JobOf(pod string) string {
	if i := strings.LastIndex(pod, "-"); i >= 0 {
		return pod[:i]
	}
	return ""
}

// nameOfPods is how much of a Job's name, and the hyphen after it, the names of its pods
// begin with: the API server leaves room for five characters in 63
// (k8s.io/apiserver/pkg/storage/names). Only a run of a CronJob with a long name has more.
const nameOfPods = 63 - 5

// IsPodOf tells whether a pod has a name that the Job controller gives to pods of that Job.
func IsPodOf(pod, job string) bool {
	base := job + "-"
	return strings.HasPrefix(pod, base[:min(len(base), nameOfPods)])
}

// Mark is the part of its children's names that tells a stream from all others, also
// from one that had its name before.
func Mark(streamName string, streamUID types.UID, kind string) string {
	return mark(kind, streamName, string(streamUID))
}

// mark is a hash in lower-case letters and digits. The parts are told apart by a
// byte that none of them can hold.
func mark(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:markLength]
}
