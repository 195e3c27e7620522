"""Studies without pictures: a structured report, a PDF, an electrocardiogram."""

from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage, EncapsulatedPDFStorage, TwelveLeadECGWaveformStorage

from scripts.demo import phantoms
from scripts.demo.building import Study, code, item, patient, plain


def report() -> Study:
    """A structured report in words."""
    shared = patient(1, "Ahorn^Anna", "19610412", "F", study="sr", date="20260408", description="Report, CT head")
    shared["AccessionNumber"] = "DEMO00011"

    def text(value: str, meaning: str, words: str) -> Dataset:
        return item(
            RelationshipType="CONTAINS",
            ValueType="TEXT",
            ConceptNameCodeSequence=[code(value, "DCM", meaning)],
            TextValue=words,
        )

    return Study(
        "Structured report",
        [
            plain(
                BasicTextSRStorage,
                "SR",
                shared,
                SeriesDescription="Report",
                CompletionFlag="COMPLETE",
                VerificationFlag="UNVERIFIED",
                ValueType="CONTAINER",
                ContinuityOfContent="SEPARATE",
                ConceptNameCodeSequence=[code("18748-4", "LN", "Diagnostic imaging report")],
                ReferencedPerformedProcedureStepSequence=[],
                PerformedProcedureCodeSequence=[],
                ContentSequence=[
                    text("121070", "Findings", "A lesion in the right hemisphere, larger than in January."),
                    text("121076", "Conclusions", "Growth. A demonstration: nobody was examined."),
                ],
            )
        ],
    )


def letter() -> Study:
    """A PDF."""
    shared = patient(2, "Birke^Bruno", "19850923", "M", study="pdf", date="20260211", description="Letter")
    document = _pdf("Dear colleague: a knee, and nobody was examined.")
    return Study(
        "PDF",
        [
            plain(
                EncapsulatedPDFStorage,
                "DOC",
                shared,
                SeriesDescription="Letter",
                ConversionType="WSD",
                BurnedInAnnotation="YES",
                DocumentTitle="Letter",
                ConceptNameCodeSequence=[],
                MIMETypeOfEncapsulatedDocument="application/pdf",
                EncapsulatedDocument=document,
            )
        ],
    )


def ecg() -> Study:
    """Ten seconds of twelve leads."""
    shared = patient(3, "Cypresse^Clara", "19740701", "F", study="ecg", date="20260218", description="ECG")
    shared["AccessionNumber"] = "DEMO00013"
    leads = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    numbers = ("1", "2", "61", "62", "63", "64", "3", "4", "5", "6", "7", "8")
    samples = phantoms.electrocardiogram(10, 500)
    channels = [
        item(
            ChannelSourceSequence=[code(f"5.6.3-9-{number}", "SCPECG", f"Lead {lead}")],
            ChannelSensitivity="1",
            ChannelSensitivityUnitsSequence=[code("uV", "UCUM", "microvolt")],
            ChannelSensitivityCorrectionFactor="1",
            ChannelBaseline="0",
            ChannelSampleSkew="0",
            WaveformBitsStored=16,
        )
        for lead, number in zip(leads, numbers, strict=True)
    ]
    return Study(
        "ECG",
        [
            plain(
                TwelveLeadECGWaveformStorage,
                "ECG",
                shared,
                SeriesDescription="Resting ECG",
                AcquisitionDateTime="20260218101500",
                AcquisitionContextSequence=[],
                WaveformSequence=[
                    item(
                        WaveformOriginality="ORIGINAL",
                        NumberOfWaveformChannels=len(leads),
                        NumberOfWaveformSamples=len(samples),
                        SamplingFrequency="500",
                        ChannelDefinitionSequence=channels,
                        WaveformBitsAllocated=16,
                        WaveformSampleInterpretation="SS",
                        WaveformData=samples.astype("<i2").tobytes(),
                    )
                ],
            )
        ],
    )


def _pdf(text: str) -> bytes:
    """A page with one line."""
    stream = f"BT /F1 16 Tf 60 720 Td ({text}) Tj ET".encode()
    parts = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [0 0 595 842] >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    document, offsets = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    start = len(document)
    document += b"xref\n0 %d\n0000000000 65535 f \n" % (len(parts) + 1)
    document += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    document += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(parts) + 1, start)
    return document + b" " * (len(document) % 2)
