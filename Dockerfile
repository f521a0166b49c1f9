# syntax=docker/dockerfile:1
# Two stages: the wheel's environment is made with the pins that CI uses, the image gets nothing but it.
FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN python -m venv /opt/fwsync \
    && /opt/fwsync/bin/pip install -q -c constraints.txt hatchling editables \
    && /opt/fwsync/bin/pip install -q -c constraints.txt --no-build-isolation '.[speed]' \
    && /opt/fwsync/bin/pip uninstall -q -y hatchling editables

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 fwsync \
    && install -d -o fwsync -g fwsync -m 0700 /var/lib/fwsync
COPY --from=build /opt/fwsync /opt/fwsync
ENV PATH=/opt/fwsync/bin:$PATH XDG_STATE_HOME=/var/lib/fwsync PYTHONUNBUFFERED=1
# Journal and locks; mount local disk here, not a network file system.
VOLUME ["/var/lib/fwsync"]
# By number, so that an orchestrator can see that it is not root.
USER 10001
WORKDIR /home/fwsync
ENTRYPOINT ["fwsync"]
CMD ["--help"]
