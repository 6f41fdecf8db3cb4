# The default job, and the tests, on a machine without Python 3.11. Built and run so far by buildah,
# over a Debian 12 with its own Python 3.11 in place of the image below.
#
#   docker build -t vagram_tf .
#   docker run --rm -v "$PWD/runs:/vagram_tf/runs" vagram_tf
#   docker run --rm vagram_tf python -m experiments.evaluate --export=pretrained/InvertedPendulum-v5
#   docker run --rm vagram_tf .ci/run    # style, types and tests: the README's command
FROM python:3.11-slim-bookworm

# OSMesa is what MuJoCo draws with here. Git lists what the installation's test installs.
RUN apt-get update \
    && apt-get install -y --no-install-recommends git libosmesa6 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /vagram_tf
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .

CMD ["python", "-m", "experiments.mbpo", "--loss=vagram"]
