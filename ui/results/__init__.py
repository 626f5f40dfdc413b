"""What to do with detections: decode, draw, match, filter, tabulate and export. No Streamlit, no network."""
