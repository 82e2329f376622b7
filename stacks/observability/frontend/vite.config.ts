import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  build: { target: "es2022" },
  // `npx vite` beside a backend on this machine: python3 -m taskmanager.
  server: { proxy: { "/api": "http://127.0.0.1:5000" } },
});
