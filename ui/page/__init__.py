"""Streamlit widgets, and the state behind them."""
