"""PS3.5 §10, PS3.6 Table A-1 The transfer syntaxes that the service treats specially, and what can be made of which."""

from typing import Final

IMPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
ENCAPSULATED_UNCOMPRESSED: Final = "1.2.840.10008.1.2.1.98"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED: Final = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS: Final = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1: Final = "1.2.840.10008.1.2.4.70"
JPEG_LS_LOSSLESS: Final = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR_LOSSLESS: Final = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS: Final = "1.2.840.10008.1.2.4.90"
JPEG_2000: Final = "1.2.840.10008.1.2.4.91"
JPEG_2000_COMPONENTS_LOSSLESS: Final = "1.2.840.10008.1.2.4.92"
JPEG_2000_COMPONENTS: Final = "1.2.840.10008.1.2.4.93"
JPIP_REFERENCED_DEFLATE: Final = "1.2.840.10008.1.2.4.95"
MPEG2_MAIN: Final = "1.2.840.10008.1.2.4.100"
MPEG2_HIGH: Final = "1.2.840.10008.1.2.4.101"
H264_HIGH: Final = "1.2.840.10008.1.2.4.102"
H264_HIGH_2D: Final = "1.2.840.10008.1.2.4.104"
HEVC_MAIN: Final = "1.2.840.10008.1.2.4.107"
HEVC_MAIN_10: Final = "1.2.840.10008.1.2.4.108"
HTJ2K_LOSSLESS: Final = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL: Final = "1.2.840.10008.1.2.4.202"
HTJ2K: Final = "1.2.840.10008.1.2.4.203"
JPIP_HTJ2K_REFERENCED_DEFLATE: Final = "1.2.840.10008.1.2.4.205"
JPEG_XL_LOSSLESS: Final = "1.2.840.10008.1.2.4.110"
JPEG_XL_RECOMPRESSION: Final = "1.2.840.10008.1.2.4.111"
JPEG_XL: Final = "1.2.840.10008.1.2.4.112"
RLE_LOSSLESS: Final = "1.2.840.10008.1.2.5"
DEFLATED_FRAMES: Final = "1.2.840.10008.1.2.8.1"
"""Deflated Image Frame Compression: native frames, each of them deflated."""
GE_PRIVATE_IMPLICIT: Final = "1.2.840.113619.5.2"
"""Implicit VR with big endian pixel data, of GE's older archives; in no edition of the standard."""

MPEG2: Final = tuple(f"1.2.840.10008.1.2.4.{n}" for n in ("100", "100.1", "101", "101.1"))
MPEG4: Final = tuple(
    f"1.2.840.10008.1.2.4.{n}"
    for n in ("102", "102.1", "103", "103.1", "104", "104.1", "105", "105.1", "106", "106.1", "107", "108")
)
VIDEO: Final = frozenset(MPEG2 + MPEG4)
"""Syntaxes whose frames are all in one stream."""

NATIVE: Final = frozenset({IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN, DEFLATED, EXPLICIT_BIG_ENDIAN})
"""Syntaxes whose pixel data are not encapsulated."""

DEFLATED_REFERENCES: Final = frozenset({JPIP_REFERENCED_DEFLATE, JPIP_HTJ2K_REFERENCED_DEFLATE})
"""Deflated data sets whose pixels another server has (JPIP)."""

JPEG_LOSSY_FAMILY: Final = frozenset({JPEG_BASELINE, JPEG_EXTENDED})
JPEG_LOSSLESS_FAMILY: Final = frozenset({JPEG_LOSSLESS, JPEG_LOSSLESS_SV1})
JPEG_RETIRED: Final = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (52, 53, 54, 55, 56, 58, 59, *range(60, 67)))
"""The processes of JPEG that the standard has retired: progressive, hierarchical and arithmetic ones."""
JPEG_LS_FAMILY: Final = frozenset({JPEG_LS_LOSSLESS, JPEG_LS_NEAR_LOSSLESS})
JPEG_2000_FAMILY: Final = frozenset({JPEG_2000_LOSSLESS, JPEG_2000})
HTJ2K_FAMILY: Final = frozenset({HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K})
JPEG_XL_FAMILY: Final = frozenset({JPEG_XL_LOSSLESS, JPEG_XL_RECOMPRESSION, JPEG_XL})

COMPRESSED: Final = (
    JPEG_LOSSY_FAMILY
    | JPEG_LOSSLESS_FAMILY
    | JPEG_LS_FAMILY
    | JPEG_2000_FAMILY
    | HTJ2K_FAMILY
    | frozenset({RLE_LOSSLESS, JPEG_XL_LOSSLESS})
)
"""The compressed syntaxes that are read and written."""

SOURCES: Final = NATIVE | COMPRESSED | JPEG_XL_FAMILY | {ENCAPSULATED_UNCOMPRESSED, DEFLATED_FRAMES}
"""The syntaxes that can be transcoded: not video, nor those that need another server (JPIP, SMPTE)."""

REVERSIBLE_TARGETS: Final = (COMPRESSED - JPEG_LOSSY_FAMILY) | {EXPLICIT_LITTLE_ENDIAN}
"""The targets of transcoding for whole instances: always without a loss, also where the syntax would allow one.
A lossy copy would be another image under the same SOP Instance UID (PS3.3 §C.7.6.1.1.5).
"""

FRAME_TARGETS: Final = COMPRESSED | {EXPLICIT_LITTLE_ENDIAN}
"""The targets of transcoding for single frames: JPEG with a loss as well, for a client that asks for just that."""
