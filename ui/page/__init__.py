"""The Streamlit widgets of the page and the state behind them."""
