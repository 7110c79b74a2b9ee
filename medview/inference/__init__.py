"""Running a model on a volume; the only place besides learning that knows torch and monai."""
