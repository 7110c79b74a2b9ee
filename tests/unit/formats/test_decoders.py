"""Every kind of compression is tried with a picture that went through a real encoder."""

from __future__ import annotations

from medview.formats.decoders import DecoderState, all_read, decoder_reports

_TRIED = {
    "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
}  # fmt: skip


def test_every_decoder_is_shipped_and_works() -> None:
    reports = decoder_reports()
    assert {report.uid: report.state for report in reports if report.uid in _TRIED} == dict.fromkeys(
        _TRIED, DecoderState.WORKS
    )
    assert all_read(reports)
    assert len({report.uid for report in reports}) == len(reports)
