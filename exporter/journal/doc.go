// Package journal keeps bytes on disk: a Log, from which a state comes back after a crash, and a Queue of
// what waits to be sent. It knows nothing of what the bytes mean. A Dir holds any number of both, for one
// process at a time:
//
//	lock                  held by the process, with flock
//	<log>/00000007.log    a snapshot of the state, a marker, and what was appended since
//	<log>/rewrite.tmp     the next snapshot, until it is whole
//	<queue>/00000007.log  entries, each with its weight and the time when it was appended
//	<queue>/cursor        where the first entry is that is not done with
//
// # What survives
//
// What a call has acknowledged survives a crash of the process: it has been handed to the kernel with one
// write. With Sync it survives a crash of the machine, too: file and folder have been synced. Without, a
// crash of the machine can cost anything that was written in the last half minute or so, and with it a
// state that was rewritten then.
//
// A crash in the middle of an Append leaves a torn tail, which is cut off when it is found. In a Rewrite
//
//	after                         a replay begins with
//	part of rewrite.tmp           the segment before; the file is written over by the next Rewrite
//	all of it                     the segment before
//	the rename                    the new segment, for its marker is there
//	the removal of older ones     the new segment
//
// In a Done, after
//
//	the cursor                    the queue begins behind what is done with, and removes it
//	the removal of segments       the same
//
// and before the cursor the queue repeats what was done with: it hands out everything once at least.
//
// # Damage
//
// A damaged entry costs that entry, a damaged header of one the way to the next entry, a damaged file
// header nothing, a missing file its entries. All that is told as a Damage. Where the marker of a
// snapshot is damaged, the older segment is replayed as well if it is still there. What was damaged never
// comes out as something that was not written; entries have a CRC-32C each, as have their headers, which
// depends on where they are.
//
// # Faults
//
// Nothing waits for a disk longer than StallLimit but reading (Replay, OpenQueue, Next): all else is done
// by a goroutine of the log or queue, which a disk that hangs holds up alone. A Log that could not write
// is broken until a Rewrite succeeds, which makes the state on disk whole again. A Queue tries again with
// each Append. A Dir that cannot be had is tried again by whatever next needs a file.
//
// A process whose files may not grow beyond a limit (RLIMIT_FSIZE) must ignore SIGXFSZ.
package journal
