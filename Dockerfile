# Parley in one image: service, bot, engine and the demonstration model. docs/operations.md says how to run it; compose.yaml does.
#   docker build --tag parley .

FROM python:3.11-slim-bookworm AS build
# Debian's release fixes the versions; within it, repairs are wanted.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils \
    && rm -rf /var/lib/apt/lists/*
# Without pip: nothing is installed into it later.
RUN python -m venv --without-pip /opt/parley
WORKDIR /source
COPY LICENSE README.md constraints.txt pyproject.toml ./
COPY api api
COPY bot bot
COPY generation generation
COPY models models
COPY parley parley
COPY storage storage
# llama.cpp comes with 80 MB of debugging symbols. The other libraries stay as they are: those that auditwheel patched break.
# Of numpy and matplotlib their own tests go.
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/parley/bin/python install --constraint constraints.txt . \
    && packages=/opt/parley/lib/python3.11/site-packages \
    && strip --strip-unneeded "$packages"/xllamacpp/*.so \
    && find "$packages/numpy" "$packages/matplotlib" -type d -name tests -prune -exec rm -r {} +

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="Parley" \
      org.opencontainers.image.description="A Discord bot with its own language model and its own HTTP API" \
      org.opencontainers.image.licenses="MIT"
# More packages of Debian's, such as fonts-noto-cjk (90 MB) for pictures with Japanese, Chinese and Korean letters.
ARG PACKAGES=""
# What the engines' wheels link and do not bring along: OpenMP and the C++ library.
# hadolint ignore=DL3008,SC2086
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 libstdc++6 ${PACKAGES} \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --no-log-init --uid 10001 --user-group --no-create-home --home-dir /var/lib/parley --shell /usr/sbin/nologin parley \
    && install --directory --owner parley --group parley --mode 0700 /var/lib/parley /var/lib/parley/data /var/lib/parley/data/models
COPY --from=build /opt/parley /opt/parley
# Every package's own licence lies beside it in site-packages, and Debian's in /usr/share/doc.
COPY LICENSE models/README.md /usr/share/doc/parley/
ENV PATH=/opt/parley/bin:$PATH \
    HOST=0.0.0.0 \
    PORT=8080 \
    MPLCONFIGDIR=/var/lib/parley/data/matplotlib
WORKDIR /var/lib/parley
# The database, what is computed of conversations, downloaded models.
VOLUME ["/var/lib/parley/data"]
USER 10001:10001
EXPOSE 8080
# A start may download a model before it listens; the first success ends the start period.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15m --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; ask = http.client.HTTPConnection('localhost', int(os.environ['PORT']), timeout=4); ask.request('GET', '/healthz'); sys.exit(ask.getresponse().status != 200)"]
# In exec form, so that SIGTERM reaches Parley, which then stops its engine.
ENTRYPOINT ["parley"]
CMD ["up"]
