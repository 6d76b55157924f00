#include "textflag.h"

// func prefetch(base unsafe.Pointer, refs *Ref, n int)
TEXT ·prefetch(SB), NOSPLIT, $0-24
	MOVD base+0(FP), R0
	MOVD refs+8(FP), R1
	MOVD n+16(FP), R2

next:
	MOVWU.P 4(R1), R3
	ADD     R3<<3, R0, R4 // a Ref counts 8 bytes
	PRFM    (R4), PLDL1KEEP
	SUBS    $1, R2
	BNE     next
	RET

// func prefetchAt(addrs *uintptr, n int)
TEXT ·prefetchAt(SB), NOSPLIT, $0-16
	MOVD addrs+0(FP), R1
	MOVD n+8(FP), R2

next:
	MOVD.P 8(R1), R3
	PRFM   (R3), PLDL1KEEP
	SUBS   $1, R2
	BNE    next
	RET
