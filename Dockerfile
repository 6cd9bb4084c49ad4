# The program on a CPU, with the versions of requirements.lock.
#   docker build -t ibc .
#   docker run --rm -v "$PWD:/data" ibc quickstart photos -o mine
FROM python:3.11-slim

WORKDIR /opt/ibc
COPY requirements.lock .
# torch and torchvision of the locked versions come without CUDA from PyTorch's own index, CUDA's libraries not at all.
RUN awk '/^[a-z]/ { keep = !/^(torch|torchvision|triton|cuda-|nvidia-)[a-z0-9-]*==/ } keep' requirements.lock > cpu.lock \
    && pip install --no-cache-dir --no-deps --require-hashes -r cpu.lock \
    && pip install --no-cache-dir --no-deps --index-url https://download.pytorch.org/whl/cpu \
       $(sed -nE 's/^((torch|torchvision)==[0-9.]+).*/\1/p' requirements.lock)
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

WORKDIR /data
ENTRYPOINT ["ibc"]
CMD ["--help"]
