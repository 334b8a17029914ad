"""Video files to feature stores: clip plan, decoding, backbones, the extraction run.

`asl_extract.extraction.extract_videos` fills a store; `asl_extract.extractor.Extractor`
turns single videos into features.
"""
