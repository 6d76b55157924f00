#include "textflag.h"

// func prefetch(base unsafe.Pointer, refs *Ref, n int)
TEXT ·prefetch(SB), NOSPLIT, $0-24
	MOVQ base+0(FP), AX
	MOVQ refs+8(FP), BX
	MOVQ n+16(FP), CX

next:
	MOVL       (BX), DX
	PREFETCHT0 (AX)(DX*8) // a Ref counts 8 bytes
	ADDQ       $4, BX
	DECQ       CX
	JNE        next
	RET

// func prefetchAt(addrs *uintptr, n int)
TEXT ·prefetchAt(SB), NOSPLIT, $0-16
	MOVQ addrs+0(FP), BX
	MOVQ n+8(FP), CX

next:
	MOVQ       (BX), DX
	PREFETCHT0 (DX)
	ADDQ       $8, BX
	DECQ       CX
	JNE        next
	RET
