"""Results for other programs: pictures, and tables and annotations of the regions that were found."""
