"""The report: an evaluation as one HTML file, with its scores, its errors and a timeline of every video."""

from asl_evaluate.report.detections_page import write_detections_report as write_detections_report
from asl_evaluate.report.from_predictions import report_file as report_file
