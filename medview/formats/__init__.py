"""Files to the data model and back; the only place that knows pydicom and SimpleITK's files."""
