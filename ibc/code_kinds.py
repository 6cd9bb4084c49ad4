"""The kinds of codes that programs write, by the names that ``--codes`` takes. ``code_reading`` tells them apart."""

KINDS = {
    "sigmoid": "sigmoid values (a bit is 1 above 0.5)",
    "sign": "signs (a bit is 1 at +1, 0 at -1, undecided at 0)",
    "tanh": "tanh values (a bit is 1 above 0)",
    "logit": "logits (a bit is 1 above 0)",
    "byte": "bytes (a bit is 1 from 128)",
    "packed": "packed bits (the first bit is the highest of a byte, as numpy.packbits writes)",
    "packed_little": "packed bits (the first bit is the lowest of a byte or word, as faiss writes)",
}
