//go:build !purego && !race

#include "textflag.h"

// One entry: AX its number; R11 its count, at least base, plus one; written back; the
// number written behind those found; DX one more if the count is the target.
#define COUNT(offset) \
	MOVL    offset(SI), AX      \
	SHRL    $2, AX              \
	MOVWLZX (DI)(AX*2), R11     \
	CMPL    R11, R8             \
	CMOVLCS R8, R11             \
	INCL    R11                 \
	MOVW    R11, (DI)(AX*2)     \
	MOVL    AX, (BX)(DX*4)      \
	XORL    R9, R11             \
	CMPL    R11, $1             \
	ADCQ    $0, DX

// func count16(list, ahead []entry, counts []uint16, base, target uint32, room []uint32, n int) int
TEXT ·count16(SB), NOSPLIT, $0-120
	MOVQ list_base+0(FP), SI
	MOVQ list_len+8(FP), CX
	MOVQ ahead_base+24(FP), R12
	MOVQ ahead_len+32(FP), R13
	LEAQ (R12)(R13*4), R13
	MOVQ counts_base+48(FP), DI
	MOVL base+72(FP), R8
	MOVL target+76(FP), R9
	MOVQ room_base+80(FP), BX
	MOVQ n+104(FP), DX
	SUBQ $4, CX
	JLT  rest

four:
	PREFETCHT0 (R12)
	COUNT(0)
	COUNT(4)
	COUNT(8)
	COUNT(12)
	ADDQ     $16, R12
	CMPQ     R12, R13
	CMOVQHI  R13, R12
	ADDQ     $16, SI
	SUBQ     $4, CX
	JGE      four

rest:
	ADDQ $4, CX
	JEQ  done

one:
	COUNT(0)
	ADDQ $4, SI
	DECQ CX
	JNE  one

done:
	MOVQ DX, ret+112(FP)
	RET

// func index(list []entry, n uint32) int
TEXT ·index(SB), NOSPLIT, $0-40
	MOVQ   list_base+0(FP), SI
	MOVQ   list_len+8(FP), CX
	MOVL   n+24(FP), DX
	MOVQ   DX, X0
	PSHUFD $0, X0, X0
	MOVQ   SI, DI
	SUBQ   $8, CX
	JLT    tail

eight:
	MOVOU    (DI), X1
	MOVOU    16(DI), X2
	PSRLL    $2, X1
	PSRLL    $2, X2
	PCMPEQL  X0, X1
	PCMPEQL  X0, X2
	PACKSSLW X2, X1       // two bytes an entry
	PMOVMSKB X1, AX
	TESTL    AX, AX
	JNE      found
	ADDQ     $32, DI
	SUBQ     $8, CX
	JGE      eight

tail:
	ADDQ $8, CX
	JEQ  nowhere

next:
	MOVL (DI), AX
	SHRL $2, AX
	CMPL AX, DX
	JEQ  here
	ADDQ $4, DI
	DECQ CX
	JNE  next

nowhere:
	MOVQ $-1, ret+32(FP)
	RET

found:
	BSFL AX, AX
	LEAQ (DI)(AX*2), DI   // four bytes an entry

here:
	SUBQ SI, DI
	SHRQ $2, DI
	MOVQ DI, ret+32(FP)
	RET
