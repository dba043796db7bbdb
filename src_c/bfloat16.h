/* A float's bits rounded to bfloat16, which is the upper half of the result: to the nearest, ties to even. By integers,
 * since the conversions that processors have flush subnormals. Valid range: no nan. */
PYI_INLINE u32v round_bf16(u32v x) { return x + splat_u32(0x7fff) + (x >> 16 & splat_u32(1)); }
