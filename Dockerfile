# One image for every server of docker-compose.yml. Not yet built with a container engine.
FROM python:3.11-slim-bookworm

RUN useradd --create-home --uid 10001 carelake \
    && mkdir -p /opt/carelake /home/carelake/lake/mlflow /home/carelake/company \
    && chown -R carelake:carelake /home/carelake

WORKDIR /opt/carelake

# the lock changes seldom: installed before the code, so that a change of code rebuilds little
COPY requirements.lock ./
RUN pip install --no-cache-dir uv==0.13.9 \
    && uv pip install --system --no-deps --compile-bytecode --require-hashes -r requirements.lock \
    && uv pip install --system --compile-bytecode psycopg2-binary asyncpg

COPY carelake carelake
COPY dags dags
COPY dbt_project dbt_project
COPY expectations expectations
COPY ml ml

ENV PYTHONPATH=/opt/carelake \
    PYTHONUNBUFFERED=1

USER carelake
