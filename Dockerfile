# One image for every server of docker-compose.yml: Carelake, Airflow with FAB, MLflow with passwords.
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS packages
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /opt/carelake
# pins and hashes change seldom: installed before the code, so that a change of code rebuilds little
COPY pyproject.toml requirements.lock ./
RUN python -m venv /opt/venv \
    && VIRTUAL_ENV=/opt/venv uv pip install --no-cache --compile-bytecode --require-hashes \
       --requirements pyproject.toml --extra server --extra replica --constraints requirements.lock

FROM ${PYTHON}
# the folders that volumes are mounted on: a new volume takes their owner over
RUN useradd --create-home --uid 10001 carelake \
    && mkdir -p /home/carelake/lake /home/carelake/logs /home/carelake/mlflow /home/carelake/company \
    && chown -R carelake:carelake /home/carelake
WORKDIR /opt/carelake
COPY --from=packages /opt/venv /opt/venv
COPY pyproject.toml sources.yml carelake.yml ./
COPY carelake carelake
COPY dags dags
COPY dbt_project dbt_project
COPY deploy deploy
COPY expectations expectations
COPY ml ml
RUN printf '#!/bin/sh\nexec python -m carelake.cli "$@"\n' > /usr/local/bin/carelake \
    && chmod 0755 /usr/local/bin/carelake \
    && /opt/venv/bin/python -m compileall -q carelake dags expectations ml
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/carelake \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER carelake
