"""Archives on the network: asking, fetching and sending over DICOMweb and DIMSE."""
