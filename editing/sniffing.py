"""Sniffing: what kind of file some bytes are, from their first few."""

ACCEPTED = ("image/png", "image/jpeg", "image/webp", "image/tiff", "image/gif", "image/bmp")

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    # Known, so that the refusal can name them; not accepted.
    (b"II+\x00", "image/tiff-big"),
    (b"MM\x00+", "image/tiff-big"),
    (b"8BPS", "image/vnd.adobe.photoshop"),
    (b"\xff\x0a", "image/jxl"),
    (b"\x00\x00\x00\x0cJXL ", "image/jxl"),
    (b"\x00\x00\x00\x0cjP  ", "image/jp2"),
    (b"\xff\x4f\xff\x51", "image/jp2"),
    (b"%PDF-", "application/pdf"),
    (b"<svg", "image/svg+xml"),
    (b"\x00\x00\x01\x00", "image/vnd.microsoft.icon"),
    (b"\x76\x2f\x31\x01", "image/x-exr"),
)
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
}


def sniff_media_type(data: bytes) -> str | None:
    """Tell what kind of picture some bytes claim to be.

    Args:
        data: A file, or its first 32 bytes.

    Returns:
        A media type such as `image/png`, of accepted and of well-known other kinds; None if it is none of them.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12])
    for magic, media_type in _MAGIC:
        if data.startswith(magic):
            return media_type
    return None


def is_lossy(data: bytes) -> bool:
    """Tell whether a file's pixels went through lossy compression (JPEG, or WebP with a VP8 stream).

    Args:
        data: A whole file.

    Returns:
        False where that is unknown.
    """
    media_type = sniff_media_type(data)
    if media_type == "image/webp":
        # The simple container names its stream at once; the extended one (VP8X) somewhere behind ICC and alpha chunks.
        return data[12:16] == b"VP8 " or (data[12:16] == b"VP8X" and b"VP8L" not in data and b"VP8 " in data)
    return media_type == "image/jpeg"
