import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { sendUnaryData, ServerUnaryCall, UntypedServiceImplementation } from "@grpc/grpc-js";
import type {
  AboutRequest,
  AboutResponse,
  GetProgramDependenciesRequest,
  GetProgramDependenciesResponse,
  GetRequiredPackagesRequest,
  GetRequiredPackagesResponse,
  RunRequest,
  RunResponse,
} from "@pulumi/pulumi/proto/language_pb.js";
import { readDependencies, readParameterizedPackages } from "./dependencies.ts";
import { buildProgramCommand, interpretExit } from "./program.ts";
import type { ProgramRun, RunOutcome } from "./program.ts";
import { findRunScript } from "./sdk.ts";
import type { Sdk } from "./sdk.ts";

/** The language runtime service, and a way to end the programs it runs. */
export interface LanguageHost {
  readonly implementation: UntypedServiceImplementation;
  readonly endPrograms: () => void;
}

/**
 * The methods the engine needs to run a program. Of the packages it declares only those of generated SDKs: any other
 * is looked up when the program first uses it, so that an SDK which is installed but unused demands no download.
 */
export function buildHost(sdk: Sdk, engineAddress: string): LanguageHost {
  const running = new Set<ChildProcess>();
  const endPrograms = (): void => {
    for (const child of running) child.kill("SIGTERM");
  };

  return {
    endPrograms,
    implementation: {
      getPluginInfo(_call: unknown, done: sendUnaryData<unknown>) {
        const info = new sdk.plugin.PluginInfo();
        info.setVersion(sdk.version);
        done(null, info);
      },
      getRequiredPlugins(_call: unknown, done: sendUnaryData<unknown>) {
        done(null, new sdk.language.GetRequiredPluginsResponse());
      },
      // Where nothing is declared, the engine takes the packages of the last update's state for it, and an explicit
      // provider changes its version with the second update.
      getRequiredPackages(
        call: ServerUnaryCall<GetRequiredPackagesRequest, GetRequiredPackagesResponse>,
        done: sendUnaryData<GetRequiredPackagesResponse>,
      ) {
        const directory = call.request.getInfo()?.getProgramDirectory() ?? process.cwd();
        const response = new sdk.language.GetRequiredPackagesResponse();
        for (const { name, version, parameterization } of readParameterizedPackages(directory)) {
          const dependency = new sdk.plugin.PackageDependency();
          dependency.setName(name);
          dependency.setKind("resource");
          dependency.setVersion(version);
          const parameters = new sdk.plugin.PackageParameterization();
          parameters.setName(parameterization.name);
          parameters.setVersion(parameterization.version);
          parameters.setValue(parameterization.value);
          dependency.setParameterization(parameters);
          response.addPackages(dependency);
        }
        done(null, response);
      },
      about(
        _call: ServerUnaryCall<AboutRequest, AboutResponse>,
        done: sendUnaryData<AboutResponse>,
      ) {
        const about = new sdk.language.AboutResponse();
        about.setExecutable(process.execPath);
        about.setVersion(process.version);
        about.getMetadataMap().set("host", "groundwork stand-in for pulumi-language-nodejs");
        done(null, about);
      },
      getProgramDependencies(
        call: ServerUnaryCall<GetProgramDependenciesRequest, GetProgramDependenciesResponse>,
        done: sendUnaryData<GetProgramDependenciesResponse>,
      ) {
        const directory = call.request.getInfo()?.getProgramDirectory() ?? process.cwd();
        const response = new sdk.language.GetProgramDependenciesResponse();
        for (const { name, version } of readDependencies(directory)) {
          const dependency = new sdk.language.DependencyInfo();
          dependency.setName(name);
          dependency.setVersion(version);
          response.addDependencies(dependency);
        }
        done(null, response);
      },
      generatePackage(_call: unknown, done: sendUnaryData<unknown>) {
        done({
          code: sdk.grpc.status.UNIMPLEMENTED,
          details:
            "This language host generates no SDKs. Run tools/generate-libvirt-sdk/generate for sdks/libvirt, " +
            "or use Pulumi's own bundle.",
        });
      },
      run(call: ServerUnaryCall<RunRequest, RunResponse>, done: sendUnaryData<RunResponse>) {
        void runProgram(readRun(call.request, engineAddress), running).then((outcome) => {
          const response = new sdk.language.RunResponse();
          if (outcome.error !== undefined) response.setError(outcome.error);
          response.setBail(outcome.bail ?? false);
          done(null, response);
        });
      },
      cancel(_call: unknown, done: sendUnaryData<unknown>) {
        endPrograms();
        done(null, new sdk.empty.Empty());
      },
    },
  };
}

/** Runs a program to its end. Never throws: what goes wrong is the outcome's error. */
async function runProgram(run: ProgramRun, running: Set<ChildProcess>): Promise<RunOutcome> {
  try {
    const command = buildProgramCommand(run, findRunScript(run.programDirectory));
    return await new Promise<RunOutcome>((resolve, reject) => {
      const child = spawn(process.execPath, command.arguments, {
        cwd: run.programDirectory,
        env: { ...process.env, ...command.environment },
        stdio: ["ignore", "inherit", "inherit"],
      });
      running.add(child);
      child.on("error", reject);
      child.on("close", (code, signal) => {
        running.delete(child);
        resolve(interpretExit(code, signal));
      });
    });
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

function readRun(request: RunRequest, engineAddress: string): ProgramRun {
  const info = request.getInfo();
  return {
    engineAddress,
    monitorAddress: request.getMonitorAddress(),
    organization: request.getOrganization(),
    project: request.getProject(),
    stack: request.getStack(),
    programDirectory: info?.getProgramDirectory() ?? request.getPwd(),
    workingDirectory: request.getPwd(),
    rootDirectory: info?.getRootDirectory() ?? "",
    entryPoint: info?.getEntryPoint() ?? request.getProgram(),
    arguments: request.getArgsList(),
    dryRun: request.getDryrun(),
    parallel: request.getParallel(),
    config: Object.fromEntries(request.getConfigMap().entries()),
    secretKeys: request.getConfigsecretkeysList(),
    options: info?.getOptions()?.toJavaScript() ?? {},
  };
}
