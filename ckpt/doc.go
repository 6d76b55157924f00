// Package ckpt keeps the images of a tenant's stripes on disk, and the catalogue that names them.
//
// An image is a copy of a stripe's arena at a commit of the log: exactly the stripe's entries of the commits up
// to it. A restart reads the newest intact image of each stripe and replays the commits after it. This
// package knows extents, checksums and headers; what the bytes mean is the engine's.
//
// # Files
//
//	<tenant>/catalogue       one a tenant, 16 KiB, written in place
//	<tenant>/images/07.a     two slots a stripe (here 7, two digits), written in turn, in place
//	<tenant>/images/07.b
//
// All integers are little-endian; all hashes are xxhash64 with seed 0. The extents hold the memory of the
// machine that wrote them, in its byte order, which the header names. Blocks are allocated before they are
// written and the files never shrink, so that once they have their size a full disk stops neither an image
// nor a publication. Slots are written with pwrite: a store through a fresh mapping costs four to ten times
// the CPU. They are mapped read-only, and only while an image is walked over before its publication.
//
// # Slot
//
//	0           64 KiB                   64 KiB + extents*4096           (rounded up to 4096)   size
//	+-----------+------------------------+-------------------------------+----------------------+
//	| header    | data: extents, 4 KiB   | table: 8 bytes an extent      | allocated ahead      |
//	+-----------+------------------------+-------------------------------+----------------------+
//
// The data is the arena from its first byte. The table has each extent's hash, in order. The header:
//
//	0        8        12           16         24       28            32           40       48
//	+--------+--------+------------+----------+--------+-------------+------------+--------+
//	|rekimage| layout | byte order | features | length | extent size | generation | tenant |
//	+--------+--------+------------+----------+--------+-------------+------------+--------+
//	48       52        56        60            64       72      80          88       96       104
//	+--------+---------+---------+-------------+--------+-------+-----------+--------+----------+
//	| stripe | stripes | hash id | ref layout  | commit | epoch | max index | series | min time |
//	+--------+---------+---------+-------------+--------+-------+-----------+--------+----------+
//	104        112     120       128       132             136           144
//	+----------+-------+---------+---------+---------------+-------------+--------------+
//	| max time | floor | segment | extents | extent layout | data offset | table offset |
//	+----------+-------+---------+---------+---------------+-------------+--------------+
//	152          160           164      192                         length-8    length
//	+------------+-------------+--------+---------------------------+-----------+
//	| table hash | chunk files | zero   | 16 bytes each: id, length | checksum  |
//	+------------+-------------+--------+---------------------------+-----------+
//
//	layout         1. A newer one is refused by name, an older one is read
//	byte order     0x01020304 as the writing machine stores it
//	features       bits that a reader must know; none yet
//	length         of the header with its checksum; never above 64 KiB, in any layout
//	generation     with the five fields behind it the identity of the tenant: an image of another one is foreign
//	tenant         hash of its name
//	commit         the image holds the commits up to this one
//	epoch          of the process that wrote it
//	max index      greatest series index ever given out in the stripe
//	series         series alive
//	min, max time  of its samples, ms since the epoch; min > max: no samples
//	floor          of the tenant at that commit, ms
//	segment        the log's newest segment at that commit
//	extents        of the image; the file may have room for more
//	extent layout  version of what the extents hold: the engine's
//	table hash     hash of the table
//	chunk files    number of entries; each names a file of closed chunks and the length up to which it is known
//	checksum       hash of all header bytes before
//
// A slot is valid as the image that a catalogue entry names if its header is intact and has the checksum of the
// entry, its table has the hash of the header, and each extent that of the table. Everything hangs on the entry:
// no mixture of two images passes, in whatever order the blocks reach the disk. So nothing is ordered inside
// a slot. Only against confusing an interrupted writer with a damaged disk, the header is zeroed before the
// first extent is written, and the new one is written last.
//
// # Catalogue
//
// Two copies, at 0 and at 8 KiB, each padded with zeros:
//
//	0        8        12           16         24       28            32    40
//	+--------+--------+------------+----------+--------+-------------+-----+
//	|rekcatal| layout | byte order | features | length | name length | seq |
//	+--------+--------+------------+----------+--------+-------------+-----+
//	40           48        52        56           60     64      72            80
//	+------------+---------+---------+------------+------+-------+-------------+
//	| generation | stripes | hash id | ref layout | zero | epoch | epoch start |
//	+------------+---------+---------+------------+------+-------+-------------+
//	80      88               96             104       112    128
//	+-------+----------------+--------------+---------+------+-------------+---------+----------+
//	| floor | synced through | next segment | created | zero | name (pad 8)| stripes | checksum |
//	+-------+----------------+--------------+---------+------+-------------+---------+----------+
//
// and for each stripe two entries, the newer image first:
//
//	0        8                 16     17      18     24
//	+--------+-----------------+------+-------+------+
//	| commit | header checksum | slot | flags | zero |
//	+--------+-----------------+------+-------+------+
//
//	seq             counts the copies ever written
//	epoch, start    commits from start on count only if they are of this epoch
//	floor           ms; nothing below it is accepted, replayed or taken from an image
//	synced through  the log was synced up to this commit when the copy was written
//	next segment    greater than the number of every segment that was complete then
//	created         ms since the epoch
//	commit          the image is also the state at this commit; not below the header's
//	slot            0 no entry, 1 a, 2 b, 3 none: the stripe is empty up to the commit and needs no file
//	flags           bit 0: the slot was synced before it was named
//
// A copy is valid if its checksum is right; of two valid copies the one with the greater seq counts. A
// publication writes and syncs one copy and then writes the other one without a sync; the next one begins with
// the latter. So at any moment one copy is durable and not being written (the one with the lower seq), a power cut
// leaves the old catalogue or the new one, and a damaged block costs nothing. Turned down: a new file renamed
// over the old one. It takes three syncs (file, directory, and the journal for both) instead of one, and space that
// a full disk does not have.
//
// If the file is gone, or neither copy is intact, Open makes a new one of the headers in the slots, and sets what
// was there aside as catalogue.damaged.
//
// # Order of publication
//
// Every sync and its place. To the left what must have happened before:
//
//	(1) log synced to commit c            the engine waits for it; Publish checks the number
//	(2) chunk files synced to the lengths the image names
//	(3) slot written                      Writer.Write: header zeroed, extents, table, header
//	(4) slot walked as it lies there      Writer.Walk
//	(5) slot synced                       Writer.Sync; images/ too the first time, for the file's name
//	(6) one copy of the catalogue written and synced        Store.Publish
//	(7) the other copy written
//	(8) log cut up to CutPoint
//
// (1) and (2) before (6): otherwise an image could survive a power cut that the log it contains did not, and series
// would be known that no log will ever name again. (5) before (6): otherwise the catalogue could name an image that
// is not there while the log is already cut to it. (3) may begin at once: nothing names the slot. (8) after (6):
// CutPoint moves with the catalogue, and it is the commit of the older of a stripe's two images, as the newer one
// may turn out to be damaged.
//
// Killed or without power at any point up to (6), the next start finds the old catalogue. The slot being written
// is then either not named at all, or named as the older image with another checksum in its header: it is of no use,
// and the newest one, which no writer touches, is. From (6) on the new image is found.
//
// A clean stop leaves (5) out: its images are entered as not synced. A power cut afterwards may have torn them;
// then their checksums say so and the older image is used, from which the log was never cut. The next image of
// such a stripe goes to the same slot, so that the synced one stays until another one is.
//
// A stripe that got nothing since its image is moved on in the catalogue alone (Update.Idle), so that it does not
// keep the log.
//
// # Example
//
// Stripe 7, as its entries in the catalogue and its slots change; * is not synced:
//
//	                                    entries            07.a          07.b
//	created                             -                  -             -
//	idle to commit 10                   none@10            -             -
//	image at 20: Begin gives a, All     a@20 none@10       20            -
//	image at 30: Begin gives b, All     b@30 a@20          20            30
//	idle since 25, to 50                b@50 a@20          20            30         CutPoint 20
//	image at 60: Begin gives a          b@50 a@20          (zeroed)      30         killed here: 30 is loaded, replayed from 51
//	  published                         a@60 b@50          60            30         only what changed since 20 was written
//	clean stop at 70: b                 b@70* a@60         60            70*
//	power cut, 70 torn                  b@70* a@60         60            torn       60 is loaded, replayed from 61
//
// # New layouts
//
// Magic, layout, byte order, features and length stay where they are, and the checksum stays the last 8 bytes
// of length, so that any version can tell a newer file from a damaged one. A golden file of every layout that was
// ever released stays in testdata and is read by a test.
package ckpt
