# The HTTP service on CPUs: docker build -t sonimate . && docker run -p 127.0.0.1:8000:8000 -v sonimate:/data sonimate
FROM python:3.12-slim
WORKDIR /app
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN pip install --no-cache-dir torch==2.13.0 '.[web]' && useradd --create-home sonimate && install -d -o sonimate /data
USER sonimate
VOLUME /data
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz')"]
CMD ["sonimate", "serve", "--data", "/data", "--host", "0.0.0.0"]
