# The page. It needs neither torch nor OpenVINO, because the server does all detection.
FROM python:3.11-slim-bookworm

WORKDIR /app
COPY requirements/serve.txt requirements/ui.txt requirements/
# The page needs these packages of serve.txt, in the versions of that file.
RUN pip install --no-cache-dir --no-deps -r requirements/ui.txt -c requirements/serve.txt \
      certifi charset-normalizer idna jinja2 markupsafe numpy packaging pillow requests typing-extensions urllib3

COPY pyproject.toml ./
COPY ui ui
RUN pip install --no-cache-dir --no-deps --editable . \
    && python -m compileall -q ui \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin app
USER 10001:10001

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp STREAMLIT_SERVER_ADDRESS=0.0.0.0
EXPOSE 8501
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-S", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
ENTRYPOINT ["python", "-m", "streamlit", "run", "ui/app.py", "--server.port", "8501"]
