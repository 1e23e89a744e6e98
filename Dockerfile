# One image for every process: the command chooses which. Nothing in it needs root.
FROM python:3.13-slim AS build
WORKDIR /app
COPY requirements.lock ./
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home payonce
COPY --from=build /venv /venv
WORKDIR /app
COPY schemas ./schemas
COPY migrations ./migrations
COPY payonce ./payonce
COPY services ./services
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
CMD ["python", "-m", "payonce"]
