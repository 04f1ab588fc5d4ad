// Package store keeps the exporter's state, its outgoing spans and the history of finished connections in one embedded
// database. It speaks of records, tombstones, spans and entries; what their bytes mean is up to the caller.
//
// # Files
//
//	<path>/store.lock            held with flock while a Store is open
//	<path>/store/FORMAT          says that the directory is a store, and of which version
//	<path>/store/                tables, manifest and options of the database
//	<path>/store/wal/            write-ahead log
//	<path>/store.damaged/        what Open set aside when it repaired a damaged store; may be deleted
//
// Directories have mode 0700 and files 0600, whatever the umask. Directories that older versions kept
// beside the store ("lock", "events", "spans") are ignored and may be deleted.
//
// # Durability
//
// Commit writes a batch atomically. Without Options.Sync a committed batch survives the death of the process:
// it has been handed to the kernel. A power cut can cost the batches of the last moments. With Options.Sync it
// survives a power cut as well. Tables and the manifest are always synced.
//
// # Outages
//
// No call of Commit or Tombstones takes longer than Options.Timeout (1 s), whatever the disk does. When the
// disk fails or hangs they return ErrBehind; spans and tombstones are kept in memory, bounded, and records must
// be written again once Writable reports true. Up to 4 MiB of the latest entries of the history stay in memory, too:
//
//	if s.Writable() { s.BeginRewrite(); many small commits; s.EndRewrite() }
//
// # Damage
//
// Open finds damage in records, tombstones and the index of spans, and repairs it: damaged logs are written again
// with what can be read of them; if that is not enough, all that can be read of tables and logs goes to a new store.
// That needs as much room again and may take a minute for 1 GiB. A payload that cannot be read is found when
// it is to be sent, an entry of the history when it is visited. All is counted, see Metrics.
//
// # Memory
//
// Up to 16 MiB of memtables (4 of 4 MiB), 8 MiB of block cache, 64 open tables with about 0.1 MiB each, and 1.25 MiB of
// filter for each million tombstones, 10 MiB at the most: about 32 to 42 MiB. During an outage 32 MiB of spans and 200,000 tombstones come on top, and, while a database that failed is being
// closed, its memtables.
package store
