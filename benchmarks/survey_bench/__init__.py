"""The parts of the survey: records, one worker for each method, results kept on disk, tables."""
