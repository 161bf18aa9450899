"""Export results for other programs: pictures, and tables and annotations of the found regions."""
