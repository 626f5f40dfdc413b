"""Functions on pictures and detections: decode, draw, match, filter, tabulate, export. No Streamlit, no network."""
