"""The report: an evaluation as one HTML file, with its scores, its errors and a timeline of every video."""

from asl_evaluate.report.run import report_file as report_file
