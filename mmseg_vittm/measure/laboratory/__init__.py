"""What a laboratory's results say: margins at equal speed, tables and pictures."""
