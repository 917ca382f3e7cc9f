# The image of the Spark job, for EMR Serverless: what it has, and Fanfold in a Python of its own.
#
#   docker build -f deploy/aws/spark.Dockerfile --platform linux/amd64 -t fanfold-spark:0.1.0 .
#
# The base must be of the release that the template names.
ARG BASE=public.ecr.aws/emr-serverless/spark/emr-spark-8.0.0:latest
ARG PYTHON=3.12

FROM python:${PYTHON}-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements.lock ./
RUN pip install --no-compile --require-hashes --only-binary :all: -r requirements.lock
COPY . ./
RUN pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /wheels .

# hadolint ignore=DL3006
FROM ${BASE}
ARG PYTHON
LABEL org.opencontainers.image.title="Fanfold on Spark" \
      org.opencontainers.image.version="0.1.0"
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# hadolint ignore=DL3002,DL3066
USER root
# hadolint ignore=DL3041
RUN dnf install -y "python${PYTHON}" && dnf clean all && "python${PYTHON}" -m venv /opt/fanfold
RUN --mount=type=bind,source=requirements-spark.lock,target=/tmp/requirements-spark.lock \
    /opt/fanfold/bin/pip install --require-hashes --only-binary :all: \
        -r /tmp/requirements-spark.lock
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    /opt/fanfold/bin/pip install --no-deps --no-index /wheels/*.whl
COPY deploy/aws/spark_main.py /opt/fanfold/
# Spark's own Python files come from the base.
ENV PYSPARK_PYTHON=/opt/fanfold/bin/python \
    PYSPARK_DRIVER_PYTHON=/opt/fanfold/bin/python
# The base's own, whatever its number.
# hadolint ignore=DL3066
USER hadoop:hadoop
