# Builds the program in one stage and leaves the tools behind in another. Runs as an ordinary user on a read-only root file system.
FROM node:24-bookworm-slim AS build
WORKDIR /build
# For the native engine; its headers come with Node.
RUN apt-get update && apt-get install -y --no-install-recommends g++ make python3
ENV npm_config_nodedir=/usr/local
COPY package.json package-lock.json .npmrc tsconfig.json ./
COPY src/net/native src/net/native
RUN npm install --no-save --no-audit --no-fund
COPY src src
COPY test test
RUN npm run build && npm prune --omit=dev

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /opt/switchyard
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist/src dist/src
COPY --from=build /build/src/net/native/build/Release/switchyard_native.node src/net/native/build/Release/
COPY config config
COPY LICENSE ./
RUN ln -s /opt/switchyard/dist/src/main.js /usr/local/bin/switchyard && chmod +x dist/src/main.js
USER node
EXPOSE 5000 5001 6432 9432
# The admin address of the configuration; inside a container it is reached over the loopback.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9432/livez').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# SIGTERM drains: give the container more time to stop than shutdown.timeout.
STOPSIGNAL SIGTERM
ENTRYPOINT ["switchyard"]
CMD ["run", "--config", "/etc/switchyard/switchyard.yaml"]
