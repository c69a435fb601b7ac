"""From tokens back to text: whether they stand for what the rendering says."""

from app.masking.tokenization.encoded import Encoded
from app.masking.tokenization.encoder import Encoder


def spells(encoder: Encoder, text: str, encoded: Encoded, tokens: slice, kept: int) -> bool:
    """Whether these tokens, as far as they are among the first `kept`, stand for their piece of the text, as
    the tokenizer's own normaliser leaves it.
    """
    stop = min(tokens.stop, kept)
    if tokens.start >= stop:
        return True
    ids = encoded.ids[tokens.start : stop].tolist()
    piece = text[int(encoded.starts[tokens.start]) : int(encoded.ends[stop - 1])]
    normaliser = encoder.tokenizer.normalizer
    if (table := encoder.token_bytes) is not None:
        spelled = b"".join([table.pieces[index] for index in ids])
        before = encoded.ends[tokens.start - 1] if tokens.start else 0
        if before > encoded.starts[tokens.start]:  # the skipped token before holds the first bytes
            return piece.encode().endswith(spelled) or stop < tokens.stop or normaliser is not None
        if spelled == piece.encode():
            return True
        if stop < tokens.stop:  # the cut may go through a character
            return piece.encode().startswith(spelled) or normaliser is not None
        return normaliser is not None and spelled == normaliser.normalize_str(piece).encode()
    # no byte spelling: decoders of such vocabularies differ from the text in white space only
    decoded = encoder.tokenizer.decode(ids, skip_special_tokens=False)
    normalised = normaliser.normalize_str(piece) if normaliser is not None else piece
    return "".join(decoded.split()) in ("".join(piece.split()), "".join(normalised.replace("▁", " ").split()))
