# The software of the pipeline as a container, without the pipeline itself, weights or data.
# Build and use it in the workflow's folder; DEVICE=cuda for NVIDIA GPUs (and then `docker run --gpus all`):
#     docker build [--build-arg DEVICE=cuda] --tag zsad .
#     docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/work" zsad --cores 8
FROM python:3.11.14-slim-bookworm

ARG DEVICE=cpu

COPY requirements.txt /opt/zsad/requirements.txt
COPY envs/cpu.txt envs/cuda.txt /opt/zsad/envs/
RUN cd /opt/zsad \
    && python -m pip install --no-cache-dir --requirement requirements.txt --requirement "envs/${DEVICE}.txt" \
    && python -m pip check

# A home folder that any user of the host can write to, for caches: users of --user have no account here.
RUN useradd --uid 1000 --create-home zsad \
    && chmod 1777 /home/zsad

# GitPython, which Snakemake imports for sources in git repositories, works without git here.
ENV HOME=/home/zsad \
    PYTHONNOUSERSITE=1 \
    LC_ALL=C.UTF-8 \
    GIT_PYTHON_REFRESH=quiet

USER zsad
WORKDIR /work
ENTRYPOINT ["snakemake"]
CMD ["--help"]
