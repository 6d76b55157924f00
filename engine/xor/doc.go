// Package xor encodes float samples into raw bytes, byte for byte as Prometheus's chunkenc.XORChunk does,
// and decodes them.
//
// chunkenc keeps a growing slice, an appender with pointers and a sample count that every append rewrites. Here a chunk
// grows by blocks of an arena, a cache line each, so that nothing is moved and an append touches one line of the chunk; the
// appender's state is 32 bytes without pointers that lie in a series record in mapped memory; and the count is written
// when the chunk is copied out, another line less.
//
//	0      4                     64
//	+------+---------------------+
//	| Prev | bytes 0..59         |    first block
//	+------+---------------------+
//	   ^
//	+------+---------------------+
//	| Prev | bytes 60..119       |    last block: Append, AppendRun
//	+------+---------------------+
//
// Where the next sample goes follows from State.Bits. A block is eight words of 8 bytes, at multiples of 8: the appender
// loads and stores whole ones, so that the end of a block is no special case as long as the sample fits. About one
// sample in thirty goes on in a new block (AppendAcross). Readers copy the blocks together, backwards, and have Finish write
// the count.
//
// A chunk is a stream of bits, most significant bit first, after a header of two bytes:
//
//	0        2
//	+--------+-----------+-----------+-----------+----
//	| count  | sample 0  | sample 1  | sample 2  | ...      zero bits up to the next whole byte
//	+--------+-----------+-----------+-----------+----
//
// count is big-endian, the number of samples. A sample is a time followed by a value:
//
//	sample 0    time   varint (zigzag, 7 bits a byte, low first)
//	            value  64 bits
//	sample 1    time   uvarint of the delta to sample 0
//	            value  as below
//	sample n    time   the delta's difference to the previous delta (dod), two's complement:
//	                   0                     dod = 0
//	                   10   + 14 bits        -8191 .. 8192
//	                   110  + 17 bits        -65535 .. 65536
//	                   1110 + 20 bits        -524287 .. 524288
//	                   1111 + 64 bits        anything
//	            value  its bits XOR the previous value's bits (x):
//	                   0                     x = 0
//	                   10 + significant      x fits the window of the last 11
//	                   11 + 5 bits leading zeros (at most 31) + 6 bits number of significant bits
//	                      (64 is written as 0) + significant      a new window
//
// All differences wrap around in 64 bits, so every time and every float, NaN payloads included, comes
// back as it went in.
package xor
